"""Function delivery's kinds of fault, performed: clusters killed, ALTO servers silent or wrong, code spoilt."""
