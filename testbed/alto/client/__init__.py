"""The client of ALTO without its sockets: it finds resources, makes requests, and reads answers with distrust.

`DirectoryWalk` finds all resources that a root directory leads to (`Closure`), `requests` asks for one of them, and
`answers` checks what came: status, media type, size, each field, and the versions that it depends on.
"""
