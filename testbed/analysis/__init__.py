"""From the files of a run to figures, tables and pictures. Reads files only, never live objects.

`load` reads and checks · `attribution`, `checks`, `summary`, `comparison` compute · `tables` prints ·
`plots` draws · `study_figures` compares many runs. pandas, scipy and matplotlib are imported nowhere else,
and not by importing this package alone.
"""
