#!/bin/bash
sleep 0.3
echo "$1" >>order
observe "$1"
