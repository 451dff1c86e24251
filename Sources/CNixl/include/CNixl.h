// The calls of NIXL's C API that the transfer plane makes, found at run time in a `libnixl_capi.so`: the wheel has no
// header, and nothing of NIXL is needed to build. The prototypes are those of its releases 0.9 to 1.5.
//
// Every call returns a status. Handles are NIXL's own; each `create_*` has its `destroy_*`. What `get_local_md` and
// `load_remote_md` give out is the caller's to `free`.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { xn_done = 0, xn_in_progress = 1 };  // Below zero: an error.
enum { xn_dram = 0 };
enum { xn_read = 0 };

typedef struct {
  /// A thread that looks for work all the time: a seventh to a third of a core, also when there is none.
  bool has_progress_thread;
  bool has_listening_thread;
  uint16_t listening_port;
  int thread_mode;  // 0: the caller sees to it that one thread at a time calls.
  unsigned int workers;
  uint64_t progress_microseconds;
  uint64_t listening_microseconds;
  bool has_telemetry;
} xn_agent_settings;

#pragma clang assume_nonnull begin

typedef struct {
  int (*create_configured_agent)(
      const char *name, const xn_agent_settings *settings, void *_Nullable *_Nonnull agent);
  int (*destroy_agent)(void *agent);
  int (*get_local_md)(void *agent, void *_Nullable *_Nonnull bytes, size_t *length);
  int (*load_remote_md)(void *agent, const void *bytes, size_t length, char *_Nullable *_Nonnull name);
  int (*invalidate_remote_md)(void *agent, const char *name);

  int (*get_plugin_params)(
      void *agent, const char *plugin, void *_Nullable *_Nonnull memories, void *_Nullable *_Nonnull parameters);
  int (*destroy_mem_list)(void *memories);
  int (*destroy_params)(void *parameters);
  int (*create_backend)(void *agent, const char *plugin, void *parameters, void *_Nullable *_Nonnull backend);
  int (*destroy_backend)(void *backend);
  int (*create_opt_args)(void *_Nullable *_Nonnull options);
  int (*opt_args_add_backend)(void *options, void *backend);
  int (*destroy_opt_args)(void *options);

  int (*create_reg_dlist)(int memory, void *_Nullable *_Nonnull list);
  int (*reg_dlist_add_desc)(
      void *list, uintptr_t address, size_t length, uint64_t device, const void *_Nullable metadata,
      size_t metadata_length);
  int (*destroy_reg_dlist)(void *list);
  int (*register_mem)(void *agent, void *list, void *_Nullable options);
  int (*deregister_mem)(void *agent, void *list, void *_Nullable options);

  int (*create_xfer_dlist)(int memory, void *_Nullable *_Nonnull list);
  int (*xfer_dlist_add_desc)(void *list, uintptr_t address, size_t length, uint64_t device);
  int (*destroy_xfer_dlist)(void *list);
  int (*create_xfer_req)(
      void *agent, int operation, void *local, void *remote, const char *peer, void *_Nullable *_Nonnull request,
      void *_Nullable options);
  /// May block for as long as the whole copy takes.
  int (*post_xfer_req)(void *agent, void *request, void *_Nullable options);
  int (*get_xfer_status)(void *agent, void *request);
  /// No cancelling: what was posted may go on.
  int (*release_xfer_req)(void *agent, void *request);
  int (*destroy_xfer_req)(void *request);

  int (*create_notif_map)(void *_Nullable *_Nonnull map);
  /// Without a progress thread this is what makes progress.
  int (*get_notifs)(void *agent, void *map, void *_Nullable options);
  int (*notif_map_clear)(void *map);
  int (*destroy_notif_map)(void *map);
} xn_functions;

/// Opens the library, for good: UCX does not survive being unloaded.
/// Returns NULL, and why as a text in `problem`, if it cannot be opened or lacks a call.
const xn_functions *_Nullable xn_load(const char *path, char *problem, size_t problem_length);

#pragma clang assume_nonnull end
