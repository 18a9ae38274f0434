"""The ALTO client: follows an ALTO server over HTTP, and answers cluster clients with the list of clusters.

`session` carries requests and streams for anybody. As a process (`process`), it finds the server's maps (`follower`,
`copies`), and makes the list from them (`cluster_list`).
"""
