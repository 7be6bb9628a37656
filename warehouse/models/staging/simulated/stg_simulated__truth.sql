-- One row per application: the probability of default it was drawn with. For monitoring alone.
with typed as (
    {{ typed_rows(source('raw', 'simulated_truth'), **simulated_file('truth')) }}
)

select * from typed
where _replaced_at is null
