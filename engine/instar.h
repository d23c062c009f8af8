#pragma once

// Instar, an embedded storage engine with online schema evolution: everything that an application needs.

#include "instar/engine/check.h"
#include "instar/engine/collection.h"
#include "instar/engine/migration.h"
#include "instar/engine/offline_canary.h"
#include "instar/engine/preimages.h"
#include "instar/engine/reconciliation.h"
#include "instar/engine/rehearsal.h"
#include "instar/engine/staging.h"
#include "instar/engine/store.h"
#include "instar/engine/transaction.h"
#include "instar/evolve/functions.h"
#include "instar/format/error.h"
