/* Stands for netsh of Windows, of which wine has none: prints what that prints on a German machine, in code page 850. */
#include <stdio.h>
#include <string.h>

int main(int count, char **words) {
    const char *what = count > 4 ? words[4] : "", *protocol = count > 5 ? words[5] : "";
    int tcp = !strcmp(protocol, "tcp");
    if (!strcmp(what, "dynamicportrange")) {
        printf("\nDynamischer Portbereich f\x81r Protokoll %s\n---------------------------------\n", protocol);
        printf("Startport       : %d\nAnzahl von Ports : %d\n\n", 49152, 16384);
    } else if (!strcmp(what, "excludedportrange")) {
        printf("\nPortausschlussbereiche f\x81r Protokoll %s\n\nStartport     Endport\n----------    --------\n", protocol);
        printf(tcp ? "      5357        5357\n     50000       50059     *\n" : "     20000       20099\n");
        printf("\n* - Verwaltete Portausschl\x81sse.\n\n");
    } else {
        return 1;
    }
    return 0;
}
