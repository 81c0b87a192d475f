// Addresses of the views; they can be kept and passed on.

export const sourceLink = (source) => `#/source/${encodeURIComponent(source)}`;
export const alarmLink = (id) => `#/alarm/${encodeURIComponent(id)}`;
