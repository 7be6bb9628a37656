"""Training rows become a candidate, a judged one, a registered one."""
