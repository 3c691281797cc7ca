"""What a user chooses; imports no torch.

`sections` has the keys of a spec, `axes` those of a setting, `names` the tables of what may be named, `words` the
mark of a key that takes names of a table, `manual` what help says of all that, `reading` how TOML is read into it,
`writing` how it is written. To add a key, write a field in `sections`; to add a name, an entry here and one in the
table of functions behind it.
"""
