"""A form for a study or an advertisement: a workbook or YAML that a person fills in: read, checked and added.

docs/add_a_study.md and docs/another_advertisement.md go through it.
"""
