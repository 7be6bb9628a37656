"""One folder per concern, loaded by ``orchestration.definitions``."""
