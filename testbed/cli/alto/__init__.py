"""Commands for those who need ALTO alone: serve, get"""
