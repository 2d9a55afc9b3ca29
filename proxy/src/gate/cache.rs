//! A bounded map: entries weigh something, and the least recently used ones go first (second chance).

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

struct Entry<V> {
    value: V,
    weight: usize,
    touched: AtomicBool,
}

struct Inner<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// Every key once, in the order in which they are looked at for eviction.
    order: VecDeque<K>,
    weight: usize,
}

/// A bounded map. Reads take a shared lock only.
pub struct Cache<K, V> {
    inner: RwLock<Inner<K, V>>,
    capacity: usize,
}

impl<K: Eq + Hash + Clone, V: Clone> Cache<K, V> {
    /// A map whose entries together weigh at most `capacity`.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let inner = Inner { entries: HashMap::new(), order: VecDeque::new(), weight: 0 };
        Self { inner: RwLock::new(inner), capacity }
    }

    /// The value under `key`.
    pub fn get(&self, key: &K) -> Option<V> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let entry = inner.entries.get(key)?;
        if !entry.touched.load(Ordering::Relaxed) {
            entry.touched.store(true, Ordering::Relaxed);
        }
        Some(entry.value.clone())
    }

    /// Puts `value` under `key`; `weight` in the unit of the capacity. What is heavier than the whole map is not kept.
    pub fn insert(&self, key: K, value: V, weight: usize) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if weight > self.capacity {
            return;
        }
        match inner.entries.insert(key.clone(), Entry { value, weight, touched: AtomicBool::new(false) }) {
            Some(old) => inner.weight -= old.weight,
            None => inner.order.push_back(key),
        }
        inner.weight += weight;
        while inner.weight > self.capacity {
            let Some(oldest) = inner.order.pop_front() else { break };
            let spare = inner.entries.get(&oldest).is_some_and(|entry| entry.touched.swap(false, Ordering::Relaxed));
            if spare {
                inner.order.push_back(oldest);
            } else if let Some(gone) = inner.entries.remove(&oldest) {
                inner.weight -= gone.weight;
            }
        }
    }

    /// Every value.
    pub fn values(&self) -> Vec<V> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.entries.values().map(|entry| entry.value.clone()).collect()
    }

    /// Forgets every key that `gone` names.
    pub fn remove_where(&self, gone: impl Fn(&K) -> bool) {
        let mut guard = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *guard;
        let mut freed = 0;
        inner.entries.retain(|key, entry| {
            let stays = !gone(key);
            freed += if stays { 0 } else { entry.weight };
            stays
        });
        inner.weight -= freed;
        let entries = &inner.entries;
        inner.order.retain(|key| entries.contains_key(key));
    }

    /// Forgets `key`.
    pub fn remove(&self, key: &K) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(gone) = inner.entries.remove(key) {
            inner.weight -= gone.weight;
            inner.order.retain(|other| other != key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cache;

    #[test]
    fn the_least_used_goes_first_and_the_bound_holds() {
        let cache = Cache::new(30);
        for key in 0..3 {
            cache.insert(key, key, 10);
        }
        assert_eq!(cache.get(&0), Some(0));
        cache.insert(3, 3, 10);
        assert_eq!((cache.get(&0), cache.get(&1), cache.get(&3)), (Some(0), None, Some(3)));
        cache.insert(4, 4, 31);
        assert_eq!(cache.get(&4), None);
        cache.insert(0, 9, 20);
        assert_eq!(cache.get(&0), Some(9));
        cache.remove(&0);
        assert_eq!(cache.get(&0), None);
        let cache = Cache::new(30);
        (0..3).for_each(|key| cache.insert(key, key, 10));
        cache.remove_where(|key| *key != 1);
        assert_eq!(cache.values(), [1]);
        (5..7).for_each(|key| cache.insert(key, key, 10));
        assert_eq!((cache.get(&1), cache.get(&5), cache.get(&6)), (Some(1), Some(5), Some(6)), "their weight is free again");
    }
}
