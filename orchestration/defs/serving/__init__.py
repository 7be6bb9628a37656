"""A registered model is deployed; applications are scored; decisions come back to the lake."""
