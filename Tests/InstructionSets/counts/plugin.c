// A QEMU plugin (TCG, version 1) that prints how many instructions a program has executed. Debian packages QEMU without its
// header; these are the declarations of `qemu-plugin.h` that are needed.
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

typedef uint64_t plugin_id;
typedef struct qemu_plugin_tb block;
enum { add_inline };

size_t qemu_plugin_tb_n_insns(const block *block);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*translated)(plugin_id, block *));
void qemu_plugin_register_vcpu_tb_exec_inline(block *block, int operation, void *counter, uint64_t number);
void qemu_plugin_register_atexit_cb(plugin_id id, void (*ended)(plugin_id, void *), void *data);

int qemu_plugin_version = 1;
static uint64_t executed;

static void translated(plugin_id id, block *block) {
  (void)id;
  qemu_plugin_register_vcpu_tb_exec_inline(block, add_inline, &executed, qemu_plugin_tb_n_insns(block));
}

static void ended(plugin_id id, void *data) {
  (void)id, (void)data;
  fprintf(stderr, "%" PRIu64 "\n", executed);
}

int qemu_plugin_install(plugin_id id, const void *info, int count, char **arguments) {
  (void)info, (void)count, (void)arguments;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  qemu_plugin_register_atexit_cb(id, ended, NULL);
  return 0;
}
