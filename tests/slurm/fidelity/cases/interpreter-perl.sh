#!/usr/bin/perl -w
#SBATCH -t 5 -o out
#: submit job.sh a b
print "perl with @ARGV\n";
kill 'TERM', $$;
