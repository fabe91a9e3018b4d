declare module "*.deflate" {
    const bytes: Uint8Array<ArrayBuffer>;
    export default bytes;
}
declare module "*.txt" {
    const text: string;
    export default text;
}
declare module "*.css" {
    const text: string;
    export default text;
}
