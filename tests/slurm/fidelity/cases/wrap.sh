#!/bin/bash
#: submit -t 5 -o out --wrap 'observe batch; echo "wrapped $0" | sed s,/.*/,,; exit 5'
