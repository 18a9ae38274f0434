"""Traces of invocations of functions, as the Azure Functions data sets have them: read, chosen from, replayed, made.

Pure but for `file`: `azure_2019` and `azure_2021` read lines, `choice` says which functions, `replay` makes arrivals,
`synthetic` draws functions and invocations by the statistics that were published.
"""
