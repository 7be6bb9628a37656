"""The scoring API: request → online store → compiled features → score → reasons → outbox."""
