"""How far detection survives what happens to videos on their way: compression, scaling, blur, noise, other crops."""
