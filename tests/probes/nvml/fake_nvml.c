/*
 * A small libnvidia-ml.so.1: the functions that ivdoctor's driver probe asks, answering from the environment.
 *
 *   FAKE_NVML_DEVICES  one device after another, split by ';', each 'name|major|minor|MiB|bus|architecture|MIG'
 *   FAKE_NVML_DRIVER   the driver's version
 *   FAKE_NVML_CUDA     the CUDA version as NVML writes it: 12040
 *   FAKE_NVML_REFUSE   'function=code' or 'function@index=code', split by ';': what the function returns instead
 *   FAKE_NVML_INIT     'hang' or 'crash'
 *
 * With -DOLD_DRIVER the functions that drivers below 410 lack are not there. Codes and structures: nvml.h of CUDA 12.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3 };

typedef struct {
    char name[96];
    int major, minor;
    unsigned long long mib;
    unsigned int bus, architecture;
    char mig[8];
} Device;

typedef struct {
    char bus_id_legacy[16];
    unsigned int domain, bus, device, pci_device_id, pci_subsystem_id;
    char bus_id[32];
} PciInfo;

typedef struct {
    unsigned long long total, free, used;
} Memory;

static Device devices[64];
static unsigned int count;

static const char *setting(const char *name, const char *otherwise) {
    const char *value = getenv(name);
    return value ? value : otherwise;
}

static int refused(const char *function, int index) {
    char wanted[128];
    const char *rules = setting("FAKE_NVML_REFUSE", ""), *found;
    if (index >= 0) {
        snprintf(wanted, sizeof wanted, "%s@%d=", function, index);
        if ((found = strstr(rules, wanted))) return atoi(found + strlen(wanted));
    }
    snprintf(wanted, sizeof wanted, "%s=", function);
    found = strstr(rules, wanted);
    return found ? atoi(found + strlen(wanted)) : SUCCESS;
}

#define ASK(index)                                     \
    do {                                               \
        int code = refused(__func__, (int)(index));    \
        if (code != SUCCESS) return code;              \
    } while (0)

static int indexed(const Device *device) { return (int)(device - devices); }

int nvmlInitWithFlags(unsigned int flags) {
    const char *way = setting("FAKE_NVML_INIT", "");
    char list[8192], *place = NULL;
    (void)flags;
    while (!strcmp(way, "hang")) pause();
    if (!strcmp(way, "crash")) raise(SIGSEGV);
    ASK(-1);
    count = 0;
    snprintf(list, sizeof list, "%s", setting("FAKE_NVML_DEVICES", ""));
    for (char *one = strtok_r(list, ";", &place); one && count < 64; one = strtok_r(NULL, ";", &place)) {
        Device *device = &devices[count++];
        sscanf(one, "%95[^|]|%d|%d|%llu|%x|%u|%7s", device->name, &device->major, &device->minor, &device->mib, &device->bus,
               &device->architecture, device->mig);
    }
    return SUCCESS;
}

int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

int nvmlShutdown(void) {
    ASK(-1);
    return SUCCESS;
}

const char *nvmlErrorString(int code) { return code == 18 ? "Driver/library version mismatch" : "Unknown Error"; }

int nvmlSystemGetDriverVersion(char *version, unsigned int length) {
    ASK(-1);
    snprintf(version, length, "%s", setting("FAKE_NVML_DRIVER", "550.54.15"));
    return SUCCESS;
}

int nvmlSystemGetCudaDriverVersion(int *version) {
    ASK(-1);
    *version = atoi(setting("FAKE_NVML_CUDA", "12040"));
    return SUCCESS;
}

int nvmlDeviceGetCount_v2(unsigned int *found) {
    ASK(-1);
    *found = count;
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, Device **device) {
    ASK(index);
    if (index >= count) return INVALID_ARGUMENT;
    *device = &devices[index];
    return SUCCESS;
}

int nvmlDeviceGetName(Device *device, char *name, unsigned int length) {
    ASK(indexed(device));
    snprintf(name, length, "%s", device->name);
    return SUCCESS;
}

int nvmlDeviceGetPciInfo_v3(Device *device, PciInfo *pci) {
    ASK(indexed(device));
    memset(pci, 0, sizeof *pci);
    pci->bus = device->bus;
    snprintf(pci->bus_id, sizeof pci->bus_id, "00000000:%02X:00.0", device->bus);
    return SUCCESS;
}

int nvmlDeviceGetCudaComputeCapability(Device *device, int *major, int *minor) {
    ASK(indexed(device));
    *major = device->major;
    *minor = device->minor;
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo(Device *device, Memory *memory) {
    ASK(indexed(device));
    memory->total = memory->free = device->mib << 20;
    memory->used = 0;
    return SUCCESS;
}

#ifndef OLD_DRIVER
int nvmlSystemGetCudaDriverVersion_v2(int *version) {
    ASK(-1);
    return nvmlSystemGetCudaDriverVersion(version);
}

int nvmlDeviceGetArchitecture(Device *device, unsigned int *architecture) {
    ASK(indexed(device));
    *architecture = device->architecture;
    return SUCCESS;
}

int nvmlDeviceGetMigMode(Device *device, unsigned int *current, unsigned int *pending) {
    ASK(indexed(device));
    if (!strcmp(device->mig, "-")) return NOT_SUPPORTED;
    *current = *pending = !strcmp(device->mig, "on");
    return SUCCESS;
}
#endif
