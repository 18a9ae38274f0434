"""Dyncast's kinds of fault, performed: instances moved, halted, killed; D-MAs halted; control processes killed."""
