"""What the console decides without touching the world: who may do what, what to do first, how a figure is drawn."""
