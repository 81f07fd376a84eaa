"""Evidence packs: everything on one decision or notice, for people and for machines."""
