# expression: server; the first that matches applies
^[a-m]: mbx1.example.org
^postmaster@|^root@: root@mbx2.example.org
(.*)@old\.example\.org$: $1_old@mbx2.example.org:143
example.net$ mbx2.example.org
(?!lookahead): mbx2.example.org
