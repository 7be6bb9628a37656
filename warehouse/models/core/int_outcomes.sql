-- One row per application whose outcome is known, of every lender: the version known at the lender's clock.
select
    versions.application_id,
    versions.source
    {%- for column in contract_of('outcomes') if column != 'application_id' -%}
    ,
    versions.{{ column }}
    {%- endfor %}
from {{ ref('int_outcome_versions') }} as versions
inner join {{ ref('int_clocks') }} as clocks on clocks.source = versions.source
where {{ known_at_clock('versions', 'clocks.clock_at') }}
