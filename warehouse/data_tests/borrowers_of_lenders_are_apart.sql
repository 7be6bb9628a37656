{#-
    Ids of borrowers that two lenders have: each lender's prefix keeps them apart. History follows the id alone, so that one
    lender's decisions would use the other's statements.
-#}
{{ config(meta={'dagster': {'ref': {'name': 'int_applications'}}}) }}
with borrowers as (
    select borrower_id, source from {{ ref('int_applications') }}
    union
    select borrower_id, source from {{ ref('int_statements') }}
    union
    select borrower_id, source from {{ ref('int_demographics') }}
)

select
    borrower_id,
    min(source) as lender,
    max(source) as other_lender
from borrowers
group by borrower_id
having count(*) > 1
