{#-
    The project's descriptions as comments in the catalog, where `duckdb_tables()`, `duckdb_columns()` and every client
    that shows comments find them.

    text     of the table
    columns  name → description; where a model does not describe a column (training rows, the view of the latest
             version, a lender's rows in the form of core), the description that it has in what the model reads, or
             in the models that read it
    hash     of both
-#}
{% macro comments_of(node) -%}
    {%- set columns = {} -%}
    {%- do collect_descriptions(node, columns, []) -%}
    {%- if not node.config.get('contract', {}).get('enforced') -%}
        {%- for reader in graph.nodes.values() if reader.resource_type == 'model' and node.unique_id in reader.depends_on.nodes -%}
            {%- for column in reader.columns.values() if column.description and column.name not in columns -%}
                {%- do columns.update({column.name: column.description | trim}) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
    {#- typed_rows adds this one, which no model that it reads has -#}
    {%- if '_replaced_at' not in columns and node.name.startswith('stg_') -%}
        {%- do columns.update({
            '_replaced_at': 'When the next line that says something else of the row was loaded, UTC; null for the newest.'
        }) -%}
    {%- endif -%}
    {{ return({
        'text': node.description | trim, 'columns': columns, 'hash': local_md5(node.description ~ tojson(columns, sort_keys=true)),
    }) }}
{%- endmacro %}

{% macro collect_descriptions(node, columns, seen) -%}
    {%- for column in node.columns.values() if column.description and column.name not in columns -%}
        {%- do columns.update({column.name: column.description | trim}) -%}
    {%- endfor -%}
    {%- if not node.config.get('contract', {}).get('enforced') -%}
        {%- for id in node.get('depends_on', {}).get('nodes', []) if id not in seen -%}
            {%- do seen.append(id) -%}
            {%- do collect_descriptions(graph.nodes.get(id) or graph.sources.get(id), columns, seen) -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}

{#- DuckLake has no comments on a view's columns: each is a line of the view's comment. -#}
{% macro comment_on(relation, comments) -%}
    {%- set existing = adapter.get_columns_in_relation(relation) | map(attribute='name') | list -%}
    {%- set text = [comments.text] -%}
    {%- set statements = [] -%}
    {%- for column in existing if column in comments.columns -%}
        {%- if relation.is_view -%}
            {%- do text.append(('\n' if loop.first else '') ~ column ~ ': ' ~ comments.columns[column]) -%}
        {%- else -%}
            {%- do statements.append(
                'comment on column ' ~ relation ~ '.' ~ adapter.quote(column) ~ ' is ' ~ duckdb_escape_comment(comments.columns[column])
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- do statements.append(
        'comment on ' ~ relation.type ~ ' ' ~ relation ~ ' is ' ~ duckdb_escape_comment(text | join('\n'))
    ) -%}
    {%- call statement('write_comments') -%} {{ statements | join(';\n') }} {%- endcall -%}
{%- endmacro %}

{#- dbt's own materializations write their comments through this one. -#}
{% macro duckdb__persist_docs(relation, model, for_relation, for_columns) -%}
    {%- if config.persist_relation_docs() -%} {%- do comment_on(relation, comments_of(model)) -%} {%- endif -%}
{%- endmacro %}
