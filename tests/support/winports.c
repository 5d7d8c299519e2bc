/* Listens on TCP, connects to itself and binds UDP, on Windows; says its number and ports, and ends with its input.
   With an argument it is a service that listens, until it is stopped. */
#include <stdio.h>
#include <winsock2.h>

static struct sockaddr_in loopback(void) {
    struct sockaddr_in end = {0};
    end.sin_family = AF_INET;
    end.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return end;
}

static int bound(int kind, unsigned short *port) {
    struct sockaddr_in end = loopback();
    int length = sizeof end;
    SOCKET made = socket(AF_INET, kind, 0);
    if (bind(made, (struct sockaddr *)&end, sizeof end) || getsockname(made, (struct sockaddr *)&end, &length)) {
        fprintf(stderr, "winports: %d\n", WSAGetLastError());
        exit(1);
    }
    *port = ntohs(end.sin_port);
    return (int)made;
}

/* Under wine a socket is the server's until its process has used it; only then the table of sockets names the process. */
static void use(SOCKET made) {
    char byte;
    u_long count, on = 1;
    ioctlsocket(made, FIONREAD, &count);
    ioctlsocket(made, FIONBIO, &on);
    recv(made, &byte, 1, 0);
}

static SERVICE_STATUS_HANDLE status_handle;
static HANDLE stop;

static void report(DWORD state) {
    SERVICE_STATUS status = {SERVICE_WIN32_OWN_PROCESS, state, SERVICE_ACCEPT_STOP, 0, 0, 0, 0};
    SetServiceStatus(status_handle, &status);
}

static void WINAPI control(DWORD what) {
    if (what == SERVICE_CONTROL_STOP) SetEvent(stop);
}

static void WINAPI serve(DWORD count, char **words) {
    unsigned short tcp;
    stop = CreateEventA(NULL, TRUE, FALSE, NULL);
    status_handle = RegisterServiceCtrlHandlerA("WinPorts", control);
    SOCKET listener = (SOCKET)bound(SOCK_STREAM, &tcp);
    listen(listener, 5);
    use(listener);
    report(SERVICE_RUNNING);
    WaitForSingleObject(stop, INFINITE);
    closesocket(listener);
    report(SERVICE_STOPPED);
}

int main(int count, char **words) {
    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data);
    if (count > 1) {
        SERVICE_TABLE_ENTRYA services[] = {{"WinPorts", serve}, {NULL, NULL}};
        return StartServiceCtrlDispatcherA(services) ? 0 : 1;
    }
    unsigned short tcp, udp;
    SOCKET listener = (SOCKET)bound(SOCK_STREAM, &tcp);
    SOCKET receiver = (SOCKET)bound(SOCK_DGRAM, &udp);
    listen(listener, 5);
    struct sockaddr_in end = loopback();
    end.sin_port = htons(tcp);
    SOCKET client = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(client, (struct sockaddr *)&end, sizeof end)) {
        fprintf(stderr, "winports: %d\n", WSAGetLastError());
        return 1;
    }
    SOCKET accepted = accept(listener, NULL, NULL);
    use(listener);
    use(receiver);
    use(client);
    use(accepted);
    printf("%lu %u %u\n", GetCurrentProcessId(), tcp, udp);
    fflush(stdout);
    getchar();
    return 0;
}
