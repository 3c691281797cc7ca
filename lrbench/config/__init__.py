"""What a user chooses; imports no torch.

`sections` has the keys of a spec, `recipes` those of its trainings, `choice` what every section is, `axes` the keys of
a setting, `names` the tables of allowed names; `words` marks keys that take names of a table, `manual` writes the help
about all of these, `reading` reads TOML into them, `writing` writes them, `starting` a first one. To add a key, write a
field in `sections`; to add a name, add an entry here and one to the table of functions behind it.
"""
