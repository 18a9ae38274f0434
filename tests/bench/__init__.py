"""What is fast and by how much: each benchmark measures a baseline and the project's way in the same run."""
