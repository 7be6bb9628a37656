"""One schema of a PostgreSQL database as SQLAlchemy names it: MLflow's and Dagster's stores beside the catalog."""


def postgres_uri(connection_string: str, schema: str) -> str:
    """The URI of a schema, from libpq's connection string; it holds the password, if the string does.

    >>> postgres_uri("host=db.lender.example user=loans dbname=lake sslmode=verify-full", "mlflow")
    'postgresql+psycopg2://loans@db.lender.example/lake?options=-csearch_path%3Dmlflow&sslmode=verify-full'
    """
    from psycopg.conninfo import conninfo_to_dict
    from sqlalchemy import URL

    given = {name: str(value) for name, value in conninfo_to_dict(connection_string).items() if value is not None}
    port = given.pop("port", None)
    url = URL.create(
        # Dagster's statements are psycopg2's; without a name SQLAlchemy takes psycopg 3, which refuses them
        "postgresql+psycopg2",
        username=given.pop("user", None),
        password=given.pop("password", None),
        host=given.pop("host", None),
        port=int(port) if port is not None else None,
        database=given.pop("dbname", None),
    )
    options = f"{given.pop('options', '')} -csearch_path={schema}".strip()
    return url.set(query={"options": options, **given}).render_as_string(hide_password=False)
