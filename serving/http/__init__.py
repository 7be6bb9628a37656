"""Requests and answers over HTTP: bodies, problems, headers, and the types of the API."""

__all__ = [
    "allowed_methods",
    "body_schema",
    "clock",
    "json_body",
    "problem_examples",
    "problems",
    "public_text",
    "query_names",
    "response_headers",
    "wire",
]
