-- One row per card account, its six statements still side by side, typed.
{{ typed_rows(source('raw', 'uci_credit_card_accounts'), uci_credit_card_accounts(), key=['account_id']) }}
