/* bcryptprimitives.dll with its one function that Rust's standard library imports, and Wine 8 lacks. No C runtime is needed. */
typedef unsigned char Byte;
typedef unsigned long long Size;

__declspec(dllimport) Byte __stdcall SystemFunction036(void *buffer, unsigned long bytes); /* RtlGenRandom, advapi32 */

__declspec(dllexport) int __stdcall ProcessPrng(Byte *buffer, Size bytes)
{
    while (bytes) {
        unsigned long now = bytes > 0x10000000 ? 0x10000000 : (unsigned long)bytes;
        if (!SystemFunction036(buffer, now))
            return 0;
        buffer += now;
        bytes -= now;
    }
    return 1;
}

int __stdcall begin(void *module, unsigned long reason, void *reserved)
{
    (void)module;
    (void)reason;
    (void)reserved;
    return 1;
}
