-- One row per mature application: the features of version 2, the label, and which part of training it serves.
{{ training_rows(2) }}
