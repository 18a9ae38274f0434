"""The report: one self-contained HTML file per run, and one per study.

`page` says what a page consists of, and renders it · `sketches` draws pictures that follow the reader's colour scheme ·
`tabulate` makes tables of data frames · the `*_figures` modules draw one thing each · `run_page` and `study_page` put
them together · `files` finds out what a folder is and writes the file. Nothing in a page comes from elsewhere: no
script, no font, no picture.
"""
