// One tab of a project answers at a time: two would be shown the same pairs.
/**
 * Become the tab that answers. `onLost` is called when another tab takes over, `onBusy(takeOver)`
 * where another one answers already. Without Web Locks (plain HTTP on another host), every tab may.
 */
export function answerAlone(project, { onMine, onBusy, onLost }) {
  if (!navigator.locks) return onMine();
  const name = `ab:desk:${location.pathname}:${project}`;
  const hold = (options) =>
    navigator.locks.request(name, options, (lock) => {
      if (lock === null) return onBusy(() => hold({ steal: true }));
      onMine();
      return new Promise(() => {}); // held until the tab is closed, or another one steals it
    }).catch((error) => {
      if (error.name === "AbortError") onLost(() => hold({ steal: true }));
      else throw error;
    });
  hold({ ifAvailable: true });
}
