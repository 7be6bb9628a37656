"""Columns that name a person: by their values (e-mail, IBAN, phone, nested data) or names (address, birth date)."""

import re

from warehouse.profiling.profile import ColumnProfile

#: What a column holds → the words of its name, in several languages.
_NAMES = {
    "a name": "name names surname lastname firstname first_name last_name full_name fullname middle_name maiden_name "
    "vorname nachname nombre apellido apellidos nom prenom nome sobrenome cognome imie nazwisko customer_name "
    "client_name borrower_name applicant_name nome_completo nombre_completo nom_complet nome_cliente nombre_cliente",
    "an e-mail address": "email e_mail mail email_address correo",
    "a phone number": "phone telephone tel mobile cell phone_number telefon telefono telefone handy",
    "a bank account": "iban bic bank_account account_number_iban kontonummer",
    "an address": "address street street_address house_number adresse strasse direccion calle rue endereco indirizzo",
    "a birth date": "birth_date birthdate date_of_birth dob birthday geburtsdatum fecha_nacimiento date_naissance "
    "data_nascimento data_nascita",
    "a national number": "ssn social_security_number national_id passport passport_no tax_id nin nino aadhaar pan cpf "
    "dni nif curp pesel bsn ahv steuer_id codice_fiscale id_card",
    "a network address": "ip ip_address device_id",
}
_WORDS = {word: what for what, names in _NAMES.items() for word in names.split()}
#: Words that say nothing in a longer name: ``file_name``, ``pan_card_type``.
_ALONE = frozenset(("name", "names", "cell", "mail", "pan", "tin", "nin", "ip", "bic", "rue", "nom", "dni", "nome"))
_VALUES = {
    "an e-mail address": re.compile(r"[^@\s]+@[^@\s]+[.][^@\s]{2,}"),
    "a bank account": re.compile(r"[A-Z]{2}99(?: ?[A-Z9]{4}){3,7}(?: ?[A-Z9]{1,4})?"),
    "a phone number": re.compile(r"(?:\+|00)99?9?[ -/]?(?:[(]?9{1,5}[)]?[ -/]?){2,6}|[(]999[)] ?999-9999"),
    "a network address": re.compile(r"9{1,3}(?:[.]9{1,3}){3}"),
    # whose keys nobody has looked at; a list of numbers names nobody
    "nested data that may name a person": re.compile(r"[{].*[}]|\[.*[\"{].*\]", re.DOTALL),
}
#: At least this share of a column's texts must look alike.
_ENOUGH = 0.8


def personal(column: ColumnProfile) -> str | None:
    """What a column says of a person (``an e-mail address``), or None.

    >>> personal(ColumnProfile("email", n_rows=1, n_given=0, n_distinct=0)), personal(ColumnProfile("amount", 1, 1, 1))
    ('an e-mail address', None)
    """
    if column.name in _WORDS:
        return _WORDS[column.name]
    for what, pattern in _VALUES.items():
        n = sum(shape.n for shape in column.shapes if pattern.fullmatch(shape.text))
        if n and n >= _ENOUGH * sum(shape.n for shape in column.shapes):
            return what
    held = [word for word in _WORDS if word not in _ALONE and f"_{word}_" in f"_{column.name}_"]
    return _WORDS[max(held, key=len)] if held else None
