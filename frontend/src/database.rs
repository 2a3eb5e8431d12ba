//! The browser's database: the messages that wait, by op id, who may send a tab's, by lease, and the
//! newest pages of the last rooms, by room.
//!
//! Called by `outbox` and `cache` alone. A browser may have none, refuse it (some do in private windows) or run
//! out of room; then the answer is nothing or `false`, and nothing fails. Its law: a transaction is
//! never held over an `await`; its requests are made when it begins, or in the call that answers one
//! of its own, since it ends by itself as soon as it has nothing to do.

use futures_channel::oneshot::{self, Receiver};
use js_sys::{Array, Function, Uint8Array};
use leptos::prelude::window;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Event, IdbDatabase, IdbObjectStore, IdbRequest, IdbTransaction, IdbTransactionMode};

const NAME: &str = "wasmchannel";
/// Raised when the stores change; the change is made in `lay_out`.
const LAYOUT: u32 = 2;
/// The messages that wait.
pub(crate) const OUTBOX: &str = "outbox";
/// The pages of rooms.
pub(crate) const PAGES: &str = "pages";
const LEASES: &str = "leases";

/// The database, open for as long as the page lives or until a page of a newer build wants it.
pub(crate) struct Database(IdbDatabase);

impl Database {
    /// Opens it.
    pub(crate) async fn open() -> Option<Self> {
        let factory = window().indexed_db().ok().flatten()?;
        let request = factory.open_with_u32(NAME, LAYOUT).ok()?;
        request.set_onupgradeneeded(Some(&once(|event| lay_out(&event))));
        answered(&request).await.then_some(())?;
        let database: IdbDatabase = request.result().ok()?.dyn_into().ok()?;
        let open = database.clone();
        database.set_onversionchange(Some(&once(move |_| open.close())));
        Some(Self(database))
    }

    /// All that lies in a store.
    pub(crate) async fn all(&self, store: &str) -> Option<Vec<Vec<u8>>> {
        let (_, store) = self.begin(store, IdbTransactionMode::Readonly)?;
        let request = store.get_all().ok()?;
        answered(&request).await.then(|| result(&request))?
    }

    /// Puts what `change` makes of one into its place, by its key; tells all that lay there before, if
    /// that is done. In one transaction: nothing is put again that another page removes meanwhile.
    pub(crate) async fn change(
        &self,
        store: &str,
        change: impl Fn(&[u8]) -> Option<(String, Vec<u8>)> + 'static,
    ) -> Option<Vec<Vec<u8>>> {
        let (transaction, store) = self.begin(store, IdbTransactionMode::Readwrite)?;
        let request = store.get_all().ok()?;
        let (asked, begun) = (request.clone(), transaction.clone());
        request.set_onsuccess(Some(&once(move |_| {
            let changed =
                result(&asked).unwrap_or_default().into_iter().filter_map(|it| change(&it));
            let mut changed = changed.map(|(key, bytes)| {
                store.put_with_key(&Uint8Array::from(bytes.as_slice()), &key.into()).is_ok()
            });
            if changed.all(|done| done) {
                commit(&begun);
            } else {
                let _ = begun.abort();
            }
        })));
        committed(&transaction).await.unwrap_or(false).then(|| result(&request))?
    }

    /// Keeps this under a key; tells when it is there. Changes are made in the order of the calls.
    pub(crate) fn put(&self, store: &str, key: &str, bytes: &[u8]) -> Option<Receiver<bool>> {
        let (change, store) = self.begin(store, IdbTransactionMode::Readwrite)?;
        store.put_with_key(&Uint8Array::from(bytes), &key.into()).ok()?;
        let told = committed(&change);
        commit(&change);
        Some(told)
    }

    /// Forgets what is kept under a key.
    pub(crate) fn remove(&self, store: &str, key: &str) {
        if let Some((change, store)) = self.begin(store, IdbTransactionMode::Readwrite) {
            let _ = store.delete(&key.into());
            commit(&change);
        }
    }

    /// Forgets all that lies in a store.
    pub(crate) fn clear(&self, store: &str) {
        if let Some((change, store)) = self.begin(store, IdbTransactionMode::Readwrite) {
            let _ = store.clear();
            commit(&change);
        }
    }

    /// Takes or renews a lease, unless it is another holder's and not over. In one transaction, so
    /// that of two only one gets it.
    pub(crate) async fn lease(&self, name: &str, holder: &str, now: i64, until: i64) -> bool {
        let Some((change, leases)) = self.begin(LEASES, IdbTransactionMode::Readwrite) else {
            return false;
        };
        let Ok(request) = leases.get(&name.into()) else { return false };
        let (key, lease) = (JsValue::from(name), format!("{until} {holder}"));
        let (holder, asked, given_up) = (holder.to_owned(), request.clone(), change.clone());
        request.set_onsuccess(Some(&once(move |_| {
            let known = asked.result().ok().and_then(|known| known.as_string());
            let known = known.as_deref().and_then(|known| known.split_once(' '));
            let others = known.is_some_and(|(until, other)| {
                other != holder && until.parse().is_ok_and(|until: i64| until > now)
            });
            let put = !others && leases.put_with_key(&lease.into(), &key).is_ok();
            if !put {
                let _ = given_up.abort();
            }
        })));
        committed(&change).await.unwrap_or(false)
    }

    /// Ends a lease.
    pub(crate) fn end_lease(&self, name: &str) {
        self.remove(LEASES, name);
    }

    fn begin(
        &self,
        store: &str,
        mode: IdbTransactionMode,
    ) -> Option<(IdbTransaction, IdbObjectStore)> {
        let transaction = self.0.transaction_with_str_and_mode(store, mode).ok()?;
        let store = transaction.object_store(store).ok()?;
        Some((transaction, store))
    }
}

/// Makes the stores of a database that is new, or of an older layout: those that are there refuse to
/// be made again, and keep what they hold.
fn lay_out(event: &Event) {
    let request = event.target().and_then(|target| target.dyn_into::<IdbRequest>().ok());
    let database = request.and_then(|it| it.result().ok()?.dyn_into::<IdbDatabase>().ok());
    for store in [OUTBOX, LEASES, PAGES] {
        let _ = database.as_ref().map(|database| database.create_object_store(store));
    }
}

/// What was read of a store.
fn result(request: &IdbRequest) -> Option<Vec<Vec<u8>>> {
    let all: Array = request.result().ok()?.dyn_into().ok()?;
    let bytes = all.iter().filter_map(|it| it.dyn_into::<Uint8Array>().ok());
    Some(bytes.map(|bytes| bytes.to_vec()).collect())
}

async fn answered(request: &IdbRequest) -> bool {
    let (heard, told) = hear("success");
    request.set_onsuccess(Some(&heard));
    request.set_onerror(Some(&heard));
    told.await.unwrap_or(false)
}

/// Commits now. By itself that is done once all requests were answered: to a page that ends, never.
#[expect(deprecated, reason = "the bindings alone call it so: browsers have it since 2021")]
fn commit(change: &IdbTransaction) {
    // It fails only where the transaction has ended already.
    let _ = change.commit();
}

fn committed(change: &IdbTransaction) -> Receiver<bool> {
    let (heard, told) = hear("complete");
    change.set_oncomplete(Some(&heard));
    change.set_onabort(Some(&heard));
    told
}

/// A listener for the first of several events, and whether it was the good one.
fn hear(good: &'static str) -> (Function, Receiver<bool>) {
    let (tell, told) = oneshot::channel();
    let heard = once(move |event| {
        let _ = tell.send(event.type_() == good);
    });
    (heard, told)
}

fn once(act: impl FnOnce(Event) + 'static) -> Function {
    Closure::once_into_js(act).unchecked_into()
}
