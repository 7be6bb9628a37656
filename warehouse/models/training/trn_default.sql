-- One row per mature application: the features of version 1, the label, and which part of training it serves.
select
    features.application_id,
    features.borrower_id,
    features.source,
    features.decided_at,
    splits.split,
    splits.is_default,
    splits.label_known_at
    {%- for feature in feature_columns('ftr_application', 1) -%}
    ,
    features.{{ feature }}
    {%- endfor %}
from {{ ref('lbl_default_splits') }} as splits
inner join {{ ref('ftr_application', v=1) }} as features on features.application_id = splits.application_id
