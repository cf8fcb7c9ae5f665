"""The whole of Ayuda on one machine, to be looked at: `ayuda-broker demo`."""
