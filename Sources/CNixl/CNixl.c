#include "CNixl.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#define CALLS(X)                                                                                                      \
  X(create_configured_agent) X(destroy_agent) X(get_local_md) X(load_remote_md) X(invalidate_remote_md)               \
  X(get_plugin_params) X(destroy_mem_list) X(destroy_params) X(create_backend) X(destroy_backend)                     \
  X(create_opt_args) X(opt_args_add_backend) X(destroy_opt_args) X(create_reg_dlist) X(reg_dlist_add_desc)            \
  X(destroy_reg_dlist) X(register_mem) X(deregister_mem) X(create_xfer_dlist) X(xfer_dlist_add_desc)                  \
  X(destroy_xfer_dlist) X(create_xfer_req) X(post_xfer_req) X(get_xfer_status) X(release_xfer_req)                    \
  X(destroy_xfer_req) X(create_notif_map) X(get_notifs) X(notif_map_clear) X(destroy_notif_map)

static void *find(void *library, const char *name, char *problem, size_t length) {
  void *call = dlsym(library, name);
  if (!call) snprintf(problem, length, "it has no %s: is it older than NIXL 0.9?", name);
  return call;
}

const xn_functions *xn_load(const char *path, char *problem, size_t length) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    snprintf(problem, length, "%s", dlerror());
    return NULL;
  }
  xn_functions *calls = malloc(sizeof *calls);
  if (!calls) return NULL;
  // Earlier releases have some of these with other parameters; they lack the first.
#define FIND(name)                                                                                                    \
  if (!(*(void **)&calls->name = find(library, "nixl_capi_" #name, problem, length))) goto unknown;
  CALLS(FIND)
  return calls;
unknown:
  free(calls);
  dlclose(library);
  return NULL;
}
