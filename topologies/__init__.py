"""What a network is: frozen specs, a catalogue of real and drawn networks, addresses and routes.

Pure: no Mininet, no processes. `catalogue.load` is the door.
"""
