"""One folder a concern, loaded by ``orchestration.definitions``."""
