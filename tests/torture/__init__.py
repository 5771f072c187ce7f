"""Interruptions of the data engine, at system calls: a kill, an error, a full disk, a power cut; and a judge who reads
all the while. ``python -m torture FOLDER`` runs the whole matrix and reports counts; the test suite runs a part of it.
"""
