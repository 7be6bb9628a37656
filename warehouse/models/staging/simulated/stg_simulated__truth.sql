-- One row per application: the probability of default it was drawn with. For monitoring alone.
{{ typed_rows(source('raw', 'simulated_truth'), **simulated_file('truth')) }}
