"""The sample catalogue: made up for this project, see README.md in this folder."""
