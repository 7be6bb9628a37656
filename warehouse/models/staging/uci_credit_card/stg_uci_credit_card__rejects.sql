-- One row per value of the accounts' file that cannot be typed; its account is left out of staging.
{{ rejected_rows('uci_credit_card', 'accounts', uci_credit_card_accounts(), key=['account_id']) }}
