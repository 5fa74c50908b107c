use dbsp::utils::Tup2;
fn main() { let _ = Tup2(1u64, 2u64); println!("{}", rivals_workload::CHUNK); }
