#SBATCH -t 5 -o out
#: refused
echo never
